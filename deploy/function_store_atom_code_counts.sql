-- Deploy hartonomous:function_store_atom_code_counts to pg
-- requires: table_tensor_tile, function_runtime_boot

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_store.atom_code_counts(tensor_hash bytea, OUT code integer, OUT count bigint)
RETURNS SETOF record
LANGUAGE plpython3u
STABLE
STRICT
PARALLEL UNSAFE
SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.ingestion.code_counts(tensor_hash)
$python$;

REVOKE ALL ON FUNCTION llm_store.atom_code_counts(bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_store.atom_code_counts(bytea) TO llm_user, llm_owner;
COMMENT ON FUNCTION llm_store.atom_code_counts(bytea) IS
'The weight codes of a stored tensor with the number of their occurrences, counted from its tiles. Raises an error '
'for a type whose codes are not atoms.';

COMMIT;
