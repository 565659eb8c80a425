-- Deploy hartonomous:function_samplers to pg
-- requires: schema_llm, function_runtime_boot

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.samplers()
RETURNS TABLE (
    name text,
    given_as text,
    type text,
    smallest numeric,
    largest numeric,
    neutral numeric,
    meaning text
)
LANGUAGE plpython3u
STABLE
PARALLEL UNSAFE
ROWS 10
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.samplers.rows()
$python$;

REVOKE ALL ON FUNCTION llm.samplers() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.samplers() TO llm_user;
COMMENT ON FUNCTION llm.samplers() IS
E'The samplers, which choose the next token from the logits: one row each, in the order in which they apply.\n'
'name: what a call names it by.\n'
'given_as: argument (llm.generate, llm.sample and the like have an argument of this name) or option (a key of their '
'argument options).\n'
'type: integer or number.\n'
'smallest and largest: the range of its value, both included.\n'
'neutral: the value that means the same as leaving it out; the sampler then does nothing (temperature: 0 always picks '
'the most likely token, and samplers after it do nothing).\n'
'meaning: what it does.\n'
'The order is that of Hugging Face transformers; a sampler that transformers lacks is where llama.cpp has it.';

COMMIT;
