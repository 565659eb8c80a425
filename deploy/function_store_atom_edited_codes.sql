-- Deploy hartonomous:function_store_atom_edited_codes to pg
-- requires: table_atom, table_atom_code_count, table_tensor_tile, function_runtime_boot

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_store.store_atom_edited_codes(tensor_hash bytea, base_hash bytea)
RETURNS void
LANGUAGE plpython3u
VOLATILE
STRICT
PARALLEL UNSAFE
SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
llm.ingestion.store_edited_codes(tensor_hash, base_hash)
$python$;

REVOKE ALL ON FUNCTION llm_store.store_atom_edited_codes(bytea, bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_store.store_atom_edited_codes(bytea, bytea) TO llm_owner;
COMMENT ON FUNCTION llm_store.store_atom_edited_codes(bytea, bytea) IS
'Counts the weight codes of tensor_hash, from the counts of base_hash and the tiles that differ, and stores the '
'codes as atoms. Only for llm_store.atomise_edited, which has checked that this is possible.';

COMMIT;
