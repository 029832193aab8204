"""`caas bulk`: an operation over every row of a file or of a table (docs/cli.md).

Rows are read, sent and written at the same time, in bounded memory. A run that is killed at any
instant goes on with `--resume`, without doing a row twice and without losing one.

| module                                  | does                                                |
|-----------------------------------------|-----------------------------------------------------|
| `operations`                            | what each operation takes, calls and gives          |
| `request`, `start`, `sql_start`         | from the command line's options to a run            |
| `chunks`, `columns`                     | rows on their way, codes that they fail with        |
| `calling`, `asking`                     | asks the service; waits while it is away, bounded   |
| `pipeline`                              | keeps chunks under way, settles them in order       |
| `csv_rows`, `json_rows`, `parquet_rows` | a kind of file each, both directions                |
| `line_output`, `parquet_parts`          | outputs that are not finished                       |
| `places`, `journal`, `failures`         | what stands on disk, and how far it is sure         |
| `file_run`, `sql_run`                   | a whole run                                         |
| `sql_table`, `sql_checkpoint`           | a table's pages, and its checkpoint                 |
| `progress`, `report`                    | what the person sees                                |
"""
