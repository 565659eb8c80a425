-- Deploy hartonomous:function_architecture to pg
-- requires: schema_llm, function_runtime_boot, table_model_tensor

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.architecture(model text DEFAULT NULL)
RETURNS jsonb
LANGUAGE plpython3u
VOLATILE
PARALLEL UNSAFE
COST 1000
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.session.architecture(model)
$python$;

REVOKE ALL ON FUNCTION llm.architecture(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.architecture(text) TO llm_user;
COMMENT ON FUNCTION llm.architecture(text) IS
E'A model''s architecture as JSON: family, sizes and switches of its transformer, such as layers, heads, hidden_size '
'and tied_embeddings.\n'
'model: a name from llm.models; NULL is the default model.';

COMMIT;
