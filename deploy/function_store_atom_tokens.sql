-- Deploy hartonomous:function_store_atom_tokens to pg
-- requires: table_atom, function_store_copy_atoms, table_atom_part, table_atom_run, table_atom_byte_count, table_token, function_runtime_boot

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_store.store_atom_tokens(tokenizer_id integer)
RETURNS bigint
LANGUAGE plpython3u
VOLATILE
STRICT
PARALLEL UNSAFE
SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.ingestion.store_tokenizer(tokenizer_id)
$python$;

REVOKE ALL ON FUNCTION llm_store.store_atom_tokens(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_store.store_atom_tokens(integer) TO llm_owner;
COMMENT ON FUNCTION llm_store.store_atom_tokens(integer) IS
'Stores the bytes and tokens of a tokenizer as atoms and counts the bytes. Returns how many tokens it stored.';

COMMIT;
