-- Deploy hartonomous:function_chat_prompt to pg
-- requires: schema_llm, function_runtime_chat, function_runtime_check_elements

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.chat_prompt(
    messages jsonb,
    model text DEFAULT NULL,
    tools jsonb DEFAULT NULL,
    add_generation_prompt boolean DEFAULT TRUE
)
RETURNS text
LANGUAGE sql
VOLATILE
PARALLEL UNSAFE
COST 10000
-- noqa: disable=RF03
BEGIN ATOMIC
    SELECT llm_runtime.chat_prompt(messages, model, tools, add_generation_prompt)
    WHERE
        llm_runtime.check_texts(ARRAY[messages::text, tools::text], 'messages and tools');
END;

ALTER FUNCTION llm.chat_prompt OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm.chat_prompt FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.chat_prompt TO llm_user;
COMMENT ON FUNCTION llm.chat_prompt IS
E'The prompt that the model''s chat template writes for a conversation, as text. In this text nobody can tell control '
'tokens of the template from those that a message writes: to generate, llm.chat takes the messages themselves.\n'
'messages: as in llm.chat. NULL gives NULL.\n'
'model: a name from llm.models; NULL is the default model.\n'
'tools: as in llm.chat.\n'
'add_generation_prompt: end with the beginning of an assistant''s message; NULL is true.';

COMMIT;
