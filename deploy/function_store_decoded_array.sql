-- Deploy hartonomous:function_store_decoded_array to pg
-- requires: schema_llm_store, function_runtime_boot

-- Text, because PostgreSQL reads an array from text ten times as fast as PL/Python makes one of a list.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_store.decoded_array(type text, content bytea)
RETURNS text
LANGUAGE plpython3u
IMMUTABLE
STRICT
PARALLEL UNSAFE
SECURITY INVOKER
COST 1000
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.weight_rows.decoded_array(type, content)
$python$;

REVOKE ALL ON FUNCTION llm_store.decoded_array(text, bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_store.decoded_array(text, bytea) TO llm_user;
COMMENT ON FUNCTION llm_store.decoded_array(text, bytea) IS
'The numbers of whole stored rows of a tensor, as the text of a real[], exactly. type: the encoding''s GGUF name.';

COMMIT;
