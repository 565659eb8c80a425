-- Deploy hartonomous:table_default_model to pg
-- requires: table_model

-- When its model is dropped, a row stays with NULL: so no other model becomes the default until one is chosen.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE TABLE llm_store.default_model (
    kind text NOT NULL,
    model_id integer,
    CONSTRAINT default_model_pkey PRIMARY KEY (kind),
    CONSTRAINT default_model_model_fkey FOREIGN KEY (model_id, kind)
    REFERENCES llm_store.model (id, kind) ON DELETE SET NULL (model_id),
    CONSTRAINT default_model_kind_known CHECK (kind IN ('decoder', 'encoder'))
);

ALTER TABLE llm_store.default_model OWNER TO llm_owner;
GRANT SELECT ON llm_store.default_model TO llm_user;
GRANT INSERT (kind, model_id), UPDATE (model_id) ON llm_store.default_model TO llm_loader;

ALTER TABLE llm_store.default_model ENABLE ROW LEVEL SECURITY;
CREATE POLICY default_model_read ON llm_store.default_model FOR SELECT TO llm_user USING (TRUE);
CREATE POLICY default_model_insert ON llm_store.default_model FOR INSERT TO llm_loader WITH CHECK (TRUE);
CREATE POLICY default_model_update ON llm_store.default_model FOR UPDATE TO llm_loader
USING (model_id IS NULL OR EXISTS (
    SELECT FROM llm_store.model AS m
    WHERE m.id = default_model.model_id AND pg_has_role(current_user, m.owner, 'USAGE')
))
WITH CHECK (model_id IS NOT NULL);

COMMENT ON TABLE llm_store.default_model IS
'The models that functions use when no model is named. llm_store.publish makes the first model of a kind its default; '
'llm.set_default_model chooses another.';
COMMENT ON COLUMN llm_store.default_model.kind IS 'decoder or encoder.';
COMMENT ON COLUMN llm_store.default_model.model_id IS
'A model of that kind. NULL: the default was dropped and none was chosen since.';
COMMENT ON POLICY default_model_read ON llm_store.default_model IS
'Roles that may use models can see which is the default.';
COMMENT ON POLICY default_model_insert ON llm_store.default_model IS
'If a kind never had a default, any loader may set it.';
COMMENT ON POLICY default_model_update ON llm_store.default_model IS
'The owner of the current default may choose another model; after the default was dropped, any loader may.';

COMMIT;
