-- Revert hartonomous:function_store_atom_code_content from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_store.atom_code_content(text, integer);

COMMIT;
