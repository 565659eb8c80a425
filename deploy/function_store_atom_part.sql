-- Deploy hartonomous:function_store_atom_part to pg
-- requires: table_atom, function_store_copy_atoms, table_atom_part, table_atom_run, table_token, function_runtime_boot

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_store.store_atom_part(tokenizer_id integer, part integer)
RETURNS bigint
LANGUAGE plpython3u
VOLATILE
STRICT
PARALLEL UNSAFE
SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.ingestion.store_part(tokenizer_id, part)
$python$;

REVOKE ALL ON FUNCTION llm_store.store_atom_part(integer, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_store.store_atom_part(integer, integer) TO llm_owner;
COMMENT ON FUNCTION llm_store.store_atom_part(integer, integer) IS
'Stores one part of a tokenizer''s tokens as atoms. Returns how many tokens are in it, 0 if it was stored already.';

COMMIT;
