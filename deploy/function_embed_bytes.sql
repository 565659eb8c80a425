-- Deploy hartonomous:function_embed_bytes to pg
-- requires: schema_llm, function_runtime_boot, table_model_tensor

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.embed_bytes(text text, model text DEFAULT NULL, pooling text DEFAULT NULL)
RETURNS bytea
LANGUAGE plpython3u
STABLE
PARALLEL UNSAFE
COST 10000
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.embeddings.embed_bytes(text, model, pooling)
$python$;

REVOKE ALL ON FUNCTION llm.embed_bytes(text, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.embed_bytes(text, text, text) TO llm_user;
COMMENT ON FUNCTION llm.embed_bytes(text, text, text) IS
E'The embedding of a text as little-endian float32, 4 bytes a number: what llm.embed gives, in the form that is small '
'and fast to store.\n'
'text: NULL gives NULL; an empty one has an embedding too.\n'
'model: a name of llm.models; NULL is the default encoder, and where there never was one the default '
'decoder.\n'
'pooling: how the vectors of its tokens become one: mean, or cls (the first token''s) of an encoder, or last of a '
'decoder; NULL is what an encoder''s configuration says, and mean for a decoder.\n'
'A text longer than the model reads is cut off: an encoder''s at its longest_text tokens, as sentence-transformers '
'does, a decoder''s at its context length.\n'
'The vector has length 1, unless an encoder''s configuration says otherwise.';

COMMIT;
