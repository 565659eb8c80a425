-- Deploy hartonomous:function_ask to pg
-- requires: schema_llm, role_llm_owner, function_chat

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.ask(question text, model text DEFAULT NULL, max_tokens integer DEFAULT NULL)
RETURNS text
LANGUAGE sql
VOLATILE
PARALLEL UNSAFE
COST 10000
BEGIN ATOMIC
    SELECT llm.chat(
        CASE
            WHEN question IS NOT NULL
                THEN jsonb_build_array(jsonb_build_object('role', 'user', 'content', question))
        END,
        model => model,
        max_tokens => max_tokens
    );
END;

ALTER FUNCTION llm.ask OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm.ask FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.ask TO llm_user;
COMMENT ON FUNCTION llm.ask IS
E'Answers one question: llm.chat with one message of a user, and the most likely token each time.\n'
'question: NULL gives NULL.\n'
'model: a name from llm.models; NULL is the default model.\n'
'max_tokens: as in llm.generate.';

COMMIT;
