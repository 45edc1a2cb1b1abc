"""What the commands show: documents, tables, the doctor."""
