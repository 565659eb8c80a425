-- Deploy hartonomous:function_embed to pg
-- requires: schema_llm, function_runtime_boot, table_model_tensor

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.embed(text text, model text DEFAULT NULL, pooling text DEFAULT NULL)
RETURNS real[]
LANGUAGE plpython3u
STABLE
PARALLEL UNSAFE
COST 10000
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.embeddings.embed(text, model, pooling)
$python$;

REVOKE ALL ON FUNCTION llm.embed(text, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.embed(text, text, text) TO llm_user;
COMMENT ON FUNCTION llm.embed(text, text, text) IS
E'The embedding of a text: one vector. Texts with similar meaning have similar vectors.\n'
'text: NULL gives NULL; an empty text has an embedding too.\n'
'model: a name from llm.models; NULL is the default encoder, or, if no encoder was ever loaded, the default decoder.\n'
'pooling: how the tokens'' vectors become one. An encoder: mean or cls (the first token''s); NULL is its '
'configuration''s. A decoder: mean or last (the last token''s); NULL is mean.\n'
'A longer text than the model reads is truncated: for an encoder at its longest_text tokens, as '
'sentence-transformers does, for a decoder at its context length.\n'
'The vector has length 1, unless an encoder''s configuration says otherwise.';

COMMIT;
