-- Deploy hartonomous:table_model_tensor to pg
-- requires: table_model, table_tensor

-- The foreign key on tensor_hash keeps llm.collect from removing a tensor that a model needs.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE TABLE llm_store.model_tensor (
    model_id integer NOT NULL,
    ordinal integer NOT NULL,
    name text NOT NULL,
    tensor_hash bytea NOT NULL,
    CONSTRAINT model_tensor_pkey PRIMARY KEY (model_id, name),
    CONSTRAINT model_tensor_ordinal_key UNIQUE (model_id, ordinal),
    CONSTRAINT model_tensor_model_fkey FOREIGN KEY (model_id) REFERENCES llm_store.model (id) ON DELETE CASCADE,
    CONSTRAINT model_tensor_tensor_fkey FOREIGN KEY (tensor_hash) REFERENCES llm_store.tensor (hash)
);
CREATE INDEX model_tensor_tensor_hash_idx ON llm_store.model_tensor (tensor_hash);

ALTER TABLE llm_store.model_tensor OWNER TO llm_owner;
GRANT SELECT ON llm_store.model_tensor TO llm_user;
GRANT INSERT, UPDATE (tensor_hash), DELETE ON llm_store.model_tensor TO llm_loader;

ALTER TABLE llm_store.model_tensor ENABLE ROW LEVEL SECURITY;
CREATE POLICY model_tensor_read ON llm_store.model_tensor FOR SELECT TO llm_user
USING (model_id IN (SELECT m.id FROM llm_store.model AS m));
CREATE POLICY model_tensor_insert ON llm_store.model_tensor FOR INSERT TO llm_loader
WITH CHECK (EXISTS (
    SELECT FROM llm_store.model AS m WHERE m.id = model_tensor.model_id AND pg_has_role(current_user, m.owner, 'USAGE')
));
CREATE POLICY model_tensor_update ON llm_store.model_tensor FOR UPDATE TO llm_loader
USING (EXISTS (
    SELECT FROM llm_store.model AS m WHERE m.id = model_tensor.model_id AND pg_has_role(current_user, m.owner, 'USAGE')
));
CREATE POLICY model_tensor_delete ON llm_store.model_tensor FOR DELETE TO llm_loader
USING (EXISTS (
    SELECT FROM llm_store.model AS m WHERE m.id = model_tensor.model_id AND pg_has_role(current_user, m.owner, 'USAGE')
));

COMMENT ON TABLE llm_store.model_tensor IS 'The tensors of each model by name.';
COMMENT ON COLUMN llm_store.model_tensor.model_id IS 'The model.';
COMMENT ON COLUMN llm_store.model_tensor.ordinal IS 'The position of the tensor in the model''s hash, from 0.';
COMMENT ON COLUMN llm_store.model_tensor.name IS
'The name in GGUF''s scheme: token_embd.weight, blk.0.attn_q.weight, ...';
COMMENT ON COLUMN llm_store.model_tensor.tensor_hash IS 'The tensor; many models may share it.';
COMMENT ON POLICY model_tensor_read ON llm_store.model_tensor IS 'Roles that can see a model can see its rows here.';
COMMENT ON POLICY model_tensor_insert ON llm_store.model_tensor IS 'A loader may add tensors to its own models.';
COMMENT ON POLICY model_tensor_update ON llm_store.model_tensor IS 'A loader may edit its own models.';
COMMENT ON POLICY model_tensor_delete ON llm_store.model_tensor IS 'A loader may remove tensors of its own models.';

COMMIT;
