"""SQL functions call these modules and no others."""
