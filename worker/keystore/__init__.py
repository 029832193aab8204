"""The keystore (docs/spec.md, section 8): its document, its file, and how it is made and changed."""
