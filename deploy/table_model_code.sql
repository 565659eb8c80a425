-- Deploy hartonomous:table_model_code to pg
-- requires: table_model

-- The union of llm_store.atom_code_count over the tensors of each model, so that a search reads a few rows a model instead of
-- some hundred. A row belongs to one model and is written only by transactions that have locked the model's row, so changes of
-- different models never wait for each other here.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE TABLE llm_store.model_code (
    model_id integer NOT NULL,
    type text NOT NULL,
    code_bits bit varying NOT NULL,
    CONSTRAINT model_code_pkey PRIMARY KEY (model_id, type),
    CONSTRAINT model_code_model_fkey FOREIGN KEY (model_id) REFERENCES llm_store.model (id) ON DELETE CASCADE
);

ALTER TABLE llm_store.model_code ALTER COLUMN code_bits SET STORAGE EXTERNAL;

ALTER TABLE llm_store.model_code OWNER TO llm_owner;
GRANT SELECT ON llm_store.model_code TO llm_user;

ALTER TABLE llm_store.model_code ENABLE ROW LEVEL SECURITY;
CREATE POLICY model_code_read ON llm_store.model_code FOR SELECT TO llm_user
USING (model_id IN (SELECT m.id FROM llm_store.model AS m));

COMMENT ON TABLE llm_store.model_code IS
'Which weight codes each model has, over all its tensors of an encoding. Written by llm_store.atomise when a model '
'is made or changed, and by triggers when one of its tensors is updated or deleted. llm_atoms.recount compares '
'it with the '
'tensors.';
COMMENT ON COLUMN llm_store.model_code.model_id IS 'The model.';
COMMENT ON COLUMN llm_store.model_code.type IS 'The encoding''s GGUF name; only encodings whose codes are atoms.';
COMMENT ON COLUMN llm_store.model_code.code_bits IS
'A bit for each code of the encoding, from code 0: whether a tensor of the model has it.';
COMMENT ON POLICY model_code_read ON llm_store.model_code IS 'Roles that can see a model can see its rows here.';

COMMIT;
