-- Deploy hartonomous:function_tokenize to pg
-- requires: schema_llm, function_runtime_boot, table_model_tensor

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.tokenize(
    text text,
    model text DEFAULT NULL,
    add_special boolean DEFAULT TRUE,
    parse_special boolean DEFAULT FALSE
)
RETURNS integer[]
LANGUAGE plpython3u
VOLATILE
PARALLEL UNSAFE
COST 10000
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.generation.tokenize(text, model, add_special, parse_special)
$python$;

REVOKE ALL ON FUNCTION llm.tokenize(text, text, boolean, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.tokenize(text, text, boolean, boolean) TO llm_user;
COMMENT ON FUNCTION llm.tokenize(text, text, boolean, boolean) IS
E'The token ids of a text.\n'
'text: NULL gives NULL.\n'
'model: a name from llm.models; NULL is the default model.\n'
'add_special: add the model''s own tokens around the text, such as beginning-of-sequence.\n'
'parse_special: control tokens that are written in the text become control tokens; otherwise they are text.';

COMMIT;
