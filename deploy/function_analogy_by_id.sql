-- Deploy hartonomous:function_analogy_by_id to pg
-- requires: schema_llm, function_runtime_boot, table_model_tensor, table_token

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.analogy(a integer, b integer, c integer, k integer DEFAULT 10, model text DEFAULT NULL)
RETURNS TABLE (rank integer, token_id integer, token text, similarity double precision)
LANGUAGE plpython3u
VOLATILE
PARALLEL UNSAFE
SECURITY INVOKER
COST 100000
ROWS 10
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.similarity.analogy(a, b, c, k, model)
$python$;

REVOKE ALL ON FUNCTION llm.analogy(integer, integer, integer, integer, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.analogy(integer, integer, integer, integer, text) TO llm_user;
COMMENT ON FUNCTION llm.analogy(integer, integer, integer, integer, text) IS
E'The k tokens that are to c as b is to a: man, king, woman gives queen if the model has learnt it.\n'
'They are the nearest by cosine to b - a + c, computed from embeddings of length 1.\n'
'a, b and c are left out, because otherwise the first is nearly always c or b.\n'
'Returns rank (from 1), token_id, token (its text) and similarity (the cosine, from -1 to 1).\n'
'Equal similarities rank by id.\n'
'a, b, c: token ids, from 0; NULL gives no rows.\n'
'k: from 1 to the size of the vocabulary.\n'
'model: a name from llm.models; NULL is the default model.';

COMMIT;
