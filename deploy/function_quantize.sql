-- Deploy hartonomous:function_quantize to pg
-- requires: schema_llm, table_operation, function_store_tile, function_store_atomise

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.quantize(model text, new text, type text DEFAULT 'Q8_0')
RETURNS double precision
LANGUAGE plpython3u
VOLATILE
PARALLEL UNSAFE
SECURITY INVOKER
COST 100000
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.editing.quantize(model, new, type)
$python$;

REVOKE ALL ON FUNCTION llm.quantize(text, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.quantize(text, text, text) TO llm_loader;
COMMENT ON FUNCTION llm.quantize(text, text, text) IS
E'Makes a copy of a model with its matrices in another encoding. Returns the largest rounding error of a weight.\n'
'As in llama.cpp, vectors keep their type. Q4_K_S to Q5_K_M are its mixes: Q4_K or Q5_K, and more bits for the output '
'head and for attn_v and ffn_down in some layers. Where no blocks of an encoding fill a row, Q4_K becomes Q5_0, Q5_K '
'Q5_1, Q6_K Q8_0, and another F16. Tensors that have their encoding already are shared.\n'
'model: any name from llm.models.\n'
'new: a name that no model has.\n'
'type: F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q4_K, Q5_K, Q6_K, IQ4_NL, Q4_K_S, Q4_K_M, Q5_K_S or Q5_K_M.';

COMMIT;
