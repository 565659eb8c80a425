-- Deploy hartonomous:function_detokenize to pg
-- requires: schema_llm, function_runtime_boot, function_runtime_check_elements, table_model_tensor

-- The size of the array is checked before PL/Python makes a list of it: see function_runtime_check_elements.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_runtime.detokenize(tokens integer[], model text)
RETURNS text
LANGUAGE plpython3u
VOLATILE
PARALLEL UNSAFE
COST 10000
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.generation.detokenize(tokens, model)
$python$;

CREATE FUNCTION llm.detokenize(tokens integer[], model text DEFAULT NULL)
RETURNS text
LANGUAGE sql
VOLATILE
PARALLEL UNSAFE
COST 10000
RETURN CASE
    WHEN llm_runtime.check_elements(cardinality(tokens), 'tokens') THEN llm_runtime.detokenize(tokens, model)
END;

REVOKE ALL ON FUNCTION llm_runtime.detokenize(integer[], text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_runtime.detokenize(integer[], text) TO llm_owner, llm_user;
COMMENT ON FUNCTION llm_runtime.detokenize(integer[], text) IS
'Called by llm.detokenize after it has checked the size of the array.';

ALTER FUNCTION llm.detokenize(integer[], text) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm.detokenize(integer[], text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.detokenize(integer[], text) TO llm_user;
COMMENT ON FUNCTION llm.detokenize(integer[], text) IS
E'The text of token ids.\n'
'Control tokens are left out. Bytes that are not UTF-8, such as half a character, and NUL become U+FFFD.\n'
'tokens: NULL gives NULL; an empty array gives an empty text; an id outside of the vocabulary is an error.\n'
'model: a name from llm.models; NULL is the default model.';

COMMIT;
