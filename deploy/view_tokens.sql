-- Deploy hartonomous:view_tokens to pg
-- requires: schema_llm, table_model, table_token

-- security_invoker: the reader sees only models that its own rights allow.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE VIEW llm.tokens WITH (security_invoker = TRUE) AS
SELECT
    m.name AS model,
    t.id,
    t.text,
    t.bytes,
    t.kind
FROM llm_store.model AS m
INNER JOIN llm_store.token AS t ON m.tokenizer_id = t.tokenizer_id;

ALTER VIEW llm.tokens OWNER TO llm_owner;
GRANT SELECT ON llm.tokens TO llm_user;

COMMENT ON VIEW llm.tokens IS 'The vocabulary of each model: one row for each row of its token embedding.';
COMMENT ON COLUMN llm.tokens.model IS 'The model''s name.';
COMMENT ON COLUMN llm.tokens.id IS 'The token id.';
COMMENT ON COLUMN llm.tokens.text IS
'The token as readable text; U+FFFD replaces bytes that are only part of a character.';
COMMENT ON COLUMN llm.tokens.bytes IS 'The exact bytes of the token.';
COMMENT ON COLUMN llm.tokens.kind IS 'normal, control, byte, added, unused (a padding row) or unknown.';

COMMIT;
