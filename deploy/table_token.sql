-- Deploy hartonomous:table_token to pg
-- requires: table_tokenizer

-- Only llm_store.store_tokenizer writes it, in the transaction that stores the tokenizer; llm.collect removes the rows before the
-- tokenizer. A foreign key would look up the same tokenizer 151,936 times: 0.9 s, where storing the rows takes 0.6 s.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE TABLE llm_store.token (
    tokenizer_id integer NOT NULL,
    id integer NOT NULL,
    bytes bytea NOT NULL,
    text text NOT NULL,
    kind text NOT NULL,
    CONSTRAINT token_pkey PRIMARY KEY (tokenizer_id, id),
    CONSTRAINT token_kind_known CHECK (kind IN ('normal', 'control', 'byte', 'added', 'unused', 'unknown'))
);
CREATE INDEX token_tokenizer_id_bytes_idx ON llm_store.token (tokenizer_id, bytes);
CREATE INDEX token_text_idx ON llm_store.token USING hash (text);

ALTER TABLE llm_store.token OWNER TO llm_owner;
GRANT SELECT ON llm_store.token TO llm_user;

COMMENT ON TABLE llm_store.token IS 'Every row of each vocabulary, computed by the server from the tokenizer.';
COMMENT ON COLUMN llm_store.token.tokenizer_id IS 'The tokenizer.';
COMMENT ON COLUMN llm_store.token.id IS 'The token id.';
COMMENT ON COLUMN llm_store.token.bytes IS
'The exact bytes of the token, often part of a character; empty if unused.';
COMMENT ON COLUMN llm_store.token.text IS 'The bytes as readable text; U+FFFD replaces what is not UTF-8, and NUL.';
COMMENT ON COLUMN llm_store.token.kind IS
'normal, control (about the text), byte (fallback), added, unused (a padding row) or unknown.';

COMMIT;
