-- Deploy hartonomous:function_chat to pg
-- requires: schema_llm, function_runtime_chat, function_runtime_check_elements

-- The size of large messages is checked before Python gets them: see function_generate.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.chat(
    messages jsonb,
    model text DEFAULT NULL,
    tools jsonb DEFAULT NULL,
    max_tokens integer DEFAULT NULL,
    temperature double precision DEFAULT 0,
    top_k integer DEFAULT NULL,
    top_p double precision DEFAULT NULL,
    min_p double precision DEFAULT NULL,
    repeat_penalty double precision DEFAULT NULL,
    seed bigint DEFAULT NULL,
    stop text[] DEFAULT NULL,
    options jsonb DEFAULT NULL
)
RETURNS text
LANGUAGE sql
VOLATILE
PARALLEL UNSAFE
COST 10000
-- noqa: disable=RF03
BEGIN ATOMIC
    SELECT c.text FROM llm_runtime.chat(
        messages, model, tools, max_tokens, temperature, top_k, top_p, min_p, repeat_penalty, seed, stop, options
    ) AS c
    WHERE
        llm_runtime.check_texts(ARRAY[messages::text, tools::text], 'messages and tools')
        AND llm_runtime.check_texts(stop, 'stop');
END;

ALTER FUNCTION llm.chat OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm.chat FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.chat TO llm_user;
COMMENT ON FUNCTION llm.chat IS
E'Answers the last message of a conversation and returns the answer''s text, without reasoning and tool calls, which '
'llm.chat_details returns too.\n'
'messages: an array of objects with a role (system, user, assistant, tool) and a content, a text or an array of parts '
'of the type text; the chat template may read further keys, such as tool_calls and reasoning_content. Images are an '
'error. Control tokens that a message writes stay text: no content can end its turn. NULL gives NULL.\n'
'model: a name from llm.models; NULL is the default model. Its own chat template writes the prompt; where it has none, '
'the prompt follows ChatML, and a NOTICE says so.\n'
'tools: an array of functions that the model may call, in the form of the chat template, mostly {"type": "function", '
'"function": {"name": ..., "description": ..., "parameters": a JSON schema}}; NULL is no tools.\n'
'max_tokens, temperature, top_k, top_p, min_p, repeat_penalty, seed, stop: as in llm.generate.\n'
'options: a JSON object; an unknown key is an error. Keys are those of llm.generate without add_special, parse_special '
'and echo, and template_arguments: what else the chat template reads, such as {"enable_thinking": false}.\n'
'The text ends with the token that ends a turn in the chat template, and with the model''s end-of-sequence tokens.\n'
'A chat template is a program of the model''s author. It runs in a sandbox, and is ended with an error if it takes too '
'long or writes too much.\n'
'Writes no rows. Can be cancelled at any time.';

COMMIT;
