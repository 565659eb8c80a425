"""One file for each way in which a matrix is packed: its bytes, and what kernels do with them."""
