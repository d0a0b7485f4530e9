"""Access to the database: connections, transactions, schema."""
