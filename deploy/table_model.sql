-- Deploy hartonomous:table_model to pg
-- requires: table_tokenizer, function_store_is_model_name

-- The owner cannot be forged: no role may insert the column, so it is always the inserting role. Row-level security lets roles with
-- the owner's rights change the model. A trigger on model_tensor updates the hash.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE TABLE llm_store.model (
    id integer GENERATED ALWAYS AS IDENTITY,
    name text NOT NULL,
    hash bytea NOT NULL DEFAULT '',
    architecture jsonb NOT NULL,
    tokenizer_id integer NOT NULL,
    container text NOT NULL,
    kind text NOT NULL
    GENERATED ALWAYS AS (CASE WHEN architecture ? 'pooling' THEN 'encoder' ELSE 'decoder' END) STORED,
    owner regrole NOT NULL DEFAULT quote_ident(current_user)::regrole,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT model_pkey PRIMARY KEY (id),
    CONSTRAINT model_name_key UNIQUE (name),
    CONSTRAINT model_id_kind_key UNIQUE (id, kind),
    CONSTRAINT model_tokenizer_fkey FOREIGN KEY (tokenizer_id) REFERENCES llm_store.tokenizer (id),
    CONSTRAINT model_name_form CHECK (llm_store.is_model_name(name)),
    CONSTRAINT model_architecture_object CHECK (jsonb_typeof(architecture) = 'object'),
    CONSTRAINT model_container_known CHECK (container IN ('gguf', 'huggingface'))
);
CREATE INDEX model_tokenizer_id_idx ON llm_store.model (tokenizer_id);

ALTER TABLE llm_store.model OWNER TO llm_owner;
GRANT SELECT ON llm_store.model TO llm_user;
GRANT INSERT (name, architecture, tokenizer_id, container), DELETE
ON llm_store.model TO llm_loader;

ALTER TABLE llm_store.model ENABLE ROW LEVEL SECURITY;
CREATE POLICY model_read ON llm_store.model FOR SELECT TO llm_user USING (TRUE);
CREATE POLICY model_insert ON llm_store.model FOR INSERT TO llm_loader
WITH CHECK (pg_has_role(current_user, owner, 'USAGE'));
CREATE POLICY model_delete ON llm_store.model FOR DELETE TO llm_loader
USING (pg_has_role(current_user, owner, 'USAGE'));

COMMENT ON TABLE llm_store.model IS
'Models. llm_store.publish adds a model with everything that it needs in one transaction.';
COMMENT ON COLUMN llm_store.model.id IS 'Never reused, also after the model was dropped.';
COMMENT ON COLUMN llm_store.model.name IS
'Unique; llm_store.is_model_name says which names are valid.';
COMMENT ON COLUMN llm_store.model.hash IS 'The root of the Merkle tree: llm_store.model_hash(id).';
COMMENT ON COLUMN llm_store.model.architecture IS
'Sizes and switches of the transformer, as in plpython/model/decoder.py.';
COMMENT ON COLUMN llm_store.model.tokenizer_id IS 'The tokenizer.';
COMMENT ON COLUMN llm_store.model.container IS 'The format of the loaded files: gguf or huggingface.';
COMMENT ON COLUMN llm_store.model.kind IS
'decoder: it generates text. encoder: it makes embeddings, and its architecture has the pooling.';
COMMENT ON COLUMN llm_store.model.owner IS 'The role that loaded it. Roles with its rights may drop it.';
COMMENT ON COLUMN llm_store.model.created_at IS 'When it was published.';
COMMENT ON POLICY model_read ON llm_store.model IS 'Roles that may use models can see all of them.';
COMMENT ON POLICY model_insert ON llm_store.model IS 'A loader may add models of its own.';
COMMENT ON POLICY model_delete ON llm_store.model IS 'A loader may drop its own models.';

COMMIT;
