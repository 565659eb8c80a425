-- Deploy hartonomous:table_operation to pg
-- requires: table_model

-- The author cannot be forged: no role may insert the column, so it is always the inserting role. No role may change or delete a
-- row; it is deleted with its model.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE TABLE llm_store.operation (
    id bigint GENERATED ALWAYS AS IDENTITY,
    model_id integer NOT NULL,
    operation text NOT NULL,
    details jsonb NOT NULL DEFAULT '{}',
    parents text[],
    hash_before bytea NOT NULL,
    hash_after bytea NOT NULL,
    author text NOT NULL DEFAULT current_user,
    done_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT operation_pkey PRIMARY KEY (id),
    CONSTRAINT operation_model_fkey FOREIGN KEY (model_id) REFERENCES llm_store.model (id) ON DELETE CASCADE,
    CONSTRAINT operation_details_object CHECK (jsonb_typeof(details) = 'object')
);
CREATE INDEX operation_model_id_idx ON llm_store.operation (model_id);

ALTER TABLE llm_store.operation OWNER TO llm_owner;
GRANT SELECT ON llm_store.operation TO llm_user;
GRANT INSERT (model_id, operation, details, parents, hash_before, hash_after) ON llm_store.operation TO llm_loader;

ALTER TABLE llm_store.operation ENABLE ROW LEVEL SECURITY;
CREATE POLICY operation_read ON llm_store.operation FOR SELECT TO llm_user
USING (model_id IN (SELECT m.id FROM llm_store.model AS m));
CREATE POLICY operation_insert ON llm_store.operation FOR INSERT TO llm_loader
WITH CHECK (EXISTS (
    SELECT FROM llm_store.model AS m WHERE m.id = operation.model_id AND pg_has_role(current_user, m.owner, 'USAGE')
));

COMMENT ON TABLE llm_store.operation IS
'Operations on models since they were loaded: one row for each fork, edit and merge, written by the functions that '
'do them. llm.history reads it.';
COMMENT ON COLUMN llm_store.operation.id IS 'The order of operations.';
COMMENT ON COLUMN llm_store.operation.model_id IS 'The model that was made or changed.';
COMMENT ON COLUMN llm_store.operation.operation IS 'The name of the function: fork, set_row, merge, ...';
COMMENT ON COLUMN llm_store.operation.details IS 'Its arguments, without weights, and its result.';
COMMENT ON COLUMN llm_store.operation.parents IS
'The names of the models that a new model was made of. NULL: the model itself was changed.';
COMMENT ON COLUMN llm_store.operation.hash_before IS
'The hash before the operation, of the model or of its first parent.';
COMMENT ON COLUMN llm_store.operation.hash_after IS 'The hash of the model after the operation.';
COMMENT ON COLUMN llm_store.operation.author IS 'The role that did it, by its name at that time.';
COMMENT ON COLUMN llm_store.operation.done_at IS 'When it was done.';
COMMENT ON POLICY operation_read ON llm_store.operation IS 'Roles that can see a model can see its rows here.';
COMMENT ON POLICY operation_insert ON llm_store.operation IS 'A loader may record operations on its own models.';

COMMIT;
