-- Verify hartonomous:function_store_atom_code_hash on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT llm_store.atom_code_hash('Q8_0', 253) = sha256('\x51385f3000fd'::bytea);
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm_store.atom_code_hash(text, integer)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm_store.atom_code_hash(text, integer)', 'EXECUTE');
END
$verify$;

ROLLBACK;
