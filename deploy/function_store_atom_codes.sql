-- Deploy hartonomous:function_store_atom_codes to pg
-- requires: table_atom, table_atom_code_count, function_runtime_boot

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_store.store_atom_codes(tensor_hashes bytea[], names text[])
RETURNS bigint
LANGUAGE plpython3u
VOLATILE
STRICT
PARALLEL UNSAFE
SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.ingestion.store_codes(tensor_hashes, names)
$python$;

REVOKE ALL ON FUNCTION llm_store.store_atom_codes(bytea[], text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_store.store_atom_codes(bytea[], text[]) TO llm_owner;
COMMENT ON FUNCTION llm_store.store_atom_codes(bytea[], text[]) IS
'Counts the weight codes of stored tensors and stores the codes as atoms. Returns how many weights it counted. '
'Infinity or NaN is an error (22023) that names the tensor; names has a name for each tensor.';

COMMIT;
