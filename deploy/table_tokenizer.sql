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

COMMENT ON TABLE llm_store.tokenizer IS 'Tokenizers by content; written only by llm_store.store_tokenizer.';
COMMENT ON COLUMN llm_store.tokenizer.id IS 'What models and tokens refer to.';
COMMENT ON COLUMN llm_store.tokenizer.hash IS 'SHA-256 of the definition, a newline and the settings.';
COMMENT ON COLUMN llm_store.tokenizer.definition IS
'A tokenizer.json document, as Hugging Face''s tokenizers read it.';
COMMENT ON COLUMN llm_store.tokenizer.settings IS
'What the document does not say: bos_id, eos_ids, before and after (ids around a text), same_as (pairs of ids with one '
'text), vocabulary_size (padded), chat_template. Models stored earlier have add_bos and add_eos for before and after.';

COMMIT;
