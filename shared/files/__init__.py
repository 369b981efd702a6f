"""The file boundary: every upload and row of your own data enters here, checked and normalized."""
