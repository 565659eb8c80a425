-- Deploy hartonomous:table_tokenizer to pg
-- requires: schema_llm_store, role_llm_loader

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE TABLE llm_store.tokenizer (
    id integer GENERATED ALWAYS AS IDENTITY,
    hash bytea NOT NULL,
    definition text NOT NULL,
    settings jsonb NOT NULL,
    CONSTRAINT tokenizer_pkey PRIMARY KEY (id),
    CONSTRAINT tokenizer_hash_key UNIQUE (hash),
    CONSTRAINT tokenizer_hash_size CHECK (octet_length(hash) = 32),
    CONSTRAINT tokenizer_settings_object CHECK (jsonb_typeof(settings) = 'object')
);

ALTER TABLE llm_store.tokenizer OWNER TO llm_owner;
GRANT SELECT ON llm_store.tokenizer TO llm_user;

COMMENT ON TABLE llm_store.tokenizer IS 'Tokenizers by content. Only llm_store.store_tokenizer writes it.';
COMMENT ON COLUMN llm_store.tokenizer.id IS 'Models and tokens refer to it.';
COMMENT ON COLUMN llm_store.tokenizer.hash IS 'SHA-256 of the definition, a newline and the settings.';
COMMENT ON COLUMN llm_store.tokenizer.definition IS
'A tokenizer.json document, as the library Hugging Face tokenizers reads it.';
COMMENT ON COLUMN llm_store.tokenizer.settings IS
'What the document does not say: bos_id, eos_ids, before and after (ids around a text), same_as (pairs of ids with '
'the same text), vocabulary_size (padded), chat_template, tool_chat_template (for conversations with tools). Models '
'that were stored earlier have add_bos and add_eos instead of before and after.';

COMMIT;
