"""What is kept between runs: transfers, evidence, inputs, verdicts and the baseline, in SQLite or PostgreSQL.

`connection.open_store` opens it. Nothing here is imported before a command is told to use a store.
"""
