"""The keystore (docs/spec.md, section 8): its document, its file, and what may change it."""
