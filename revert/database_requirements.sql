-- Revert hartonomous:database_requirements from pg

-- The change creates nothing.
BEGIN;
COMMIT;
