-- Deploy hartonomous:function_set_prompt to pg
-- requires: schema_llm, function_runtime_boot, view_prompts, role_llm_loader

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.set_prompt(task text, template text DEFAULT NULL)
RETURNS integer
LANGUAGE plpython3u
VOLATILE
PARALLEL UNSAFE
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.prompts.set_prompt(task, template)
$python$;

REVOKE ALL ON FUNCTION llm.set_prompt(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.set_prompt(text, text) TO llm_loader;
COMMENT ON FUNCTION llm.set_prompt(text, text) IS
E'Sets the prompt of a task for all who use it, from the next statement on. Returns its version; earlier versions '
'stay in llm.prompts.\n'
'task: matches, rate, classify, summarize, translate or ask_agg.\n'
'template: the prompt, with the places of the task''s first prompt, each once or more: {text} and what else it has. '
'A template that lacks a place or has another is an error. {{ and }} are braces. What goes into a place is data: '
'braces and control tokens in it stay text. NULL sets the first prompt again.';

COMMIT;
