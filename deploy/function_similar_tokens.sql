-- Deploy hartonomous:function_similar_tokens to pg
-- requires: schema_llm, function_runtime_boot, table_model_tensor, table_token

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.similar_tokens(token text, k integer DEFAULT 10, model text DEFAULT NULL)
RETURNS TABLE (rank integer, token_id integer, token text, similarity double precision)
LANGUAGE plpython3u
VOLATILE
PARALLEL UNSAFE
SECURITY INVOKER
COST 100000
ROWS 10
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.similarity.similar_tokens(token, k, model)
$python$;

REVOKE ALL ON FUNCTION llm.similar_tokens(text, integer, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.similar_tokens(text, integer, text) TO llm_user;
COMMENT ON FUNCTION llm.similar_tokens(text, integer, text) IS
E'The k tokens nearest in meaning to a token: those whose embeddings have the largest cosine with its embedding, '
'largest first. The search is exact; the token itself is left out.\n'
'Returns rank (from 1), token_id, token (its text) and similarity (the cosine, from -1 to 1).\n'
'Equal similarities rank by id.\n'
'token: the exact text of a token, including the space before a word; NULL gives no rows.\n'
'k: from 1 to the size of the vocabulary.\n'
'model: a name from llm.models; NULL is the default model.';

COMMIT;
