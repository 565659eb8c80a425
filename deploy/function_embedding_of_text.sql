-- Deploy hartonomous:function_embedding_of_text to pg
-- requires: schema_llm, function_runtime_boot, view_store_tensor_row

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.embedding(token text, model text DEFAULT NULL)
RETURNS bytea
LANGUAGE plpython3u
VOLATILE
PARALLEL UNSAFE
SECURITY INVOKER
COST 1000
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.weight_rows.embedding(token, model)
$python$;

REVOKE ALL ON FUNCTION llm.embedding(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.embedding(text, text) TO llm_user;
COMMENT ON FUNCTION llm.embedding(text, text) IS
E'The row of one token in the token embedding: bytea of little-endian float32; llm.floats shows its numbers.\n'
'Reads only that row.\n'
'token: the exact text of a token, including the space before a word: '' king''.\n'
'model: a name from llm.models; NULL is the default model.';

COMMIT;
