-- Deploy hartonomous:table_token to pg
-- requires: table_tokenizer

-- Written in the transaction that makes the tokenizer, by llm_store.store_tokenizer alone, and removed by llm.collect
-- before it. A foreign key would look the one tokenizer up 151,936 times: 0.9 s beside 0.6 s to store the rows.
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

COMMENT ON TABLE llm_store.token IS 'Every row of each vocabulary, derived on the server from the tokenizer.';
COMMENT ON COLUMN llm_store.token.tokenizer_id IS 'The tokenizer.';
COMMENT ON COLUMN llm_store.token.id IS 'The number that the model knows the token by.';
COMMENT ON COLUMN llm_store.token.bytes IS
'The exact bytes it stands for, often part of a character; empty where unused.';
COMMENT ON COLUMN llm_store.token.text IS 'The bytes as text to read; U+FFFD for what is not UTF-8, and for NUL.';
COMMENT ON COLUMN llm_store.token.kind IS
'normal, control (about the text), byte (fallback), added, unused (a padded row) or unknown.';

COMMIT;
