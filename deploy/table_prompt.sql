-- Deploy hartonomous:table_prompt to pg
-- requires: schema_llm_store, role_llm_loader

-- Version 0 of a task comes with the release and stands in the view llm.prompts: so a store is restored into a new
-- deployment, and a new release can bring better prompts.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE TABLE llm_store.prompt (
    task text NOT NULL,
    version integer NOT NULL,
    template text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    author text NOT NULL DEFAULT current_user,
    CONSTRAINT prompt_pkey PRIMARY KEY (task, version),
    CONSTRAINT prompt_version_positive CHECK (version > 0)
);

ALTER TABLE llm_store.prompt OWNER TO llm_owner;
GRANT SELECT ON llm_store.prompt TO llm_user;
GRANT INSERT (task, version, template) ON llm_store.prompt TO llm_loader;

ALTER TABLE llm_store.prompt ENABLE ROW LEVEL SECURITY;
CREATE POLICY prompt_read ON llm_store.prompt FOR SELECT TO llm_user USING (TRUE);
CREATE POLICY prompt_insert ON llm_store.prompt FOR INSERT TO llm_loader WITH CHECK (TRUE);

COMMENT ON TABLE llm_store.prompt IS
'The prompts of tasks that were set with llm.set_prompt; llm.prompts shows them.';
COMMENT ON COLUMN llm_store.prompt.task IS 'The task, such as classify.';
COMMENT ON COLUMN llm_store.prompt.version IS 'From 1. The newest version of a task counts.';
COMMENT ON COLUMN llm_store.prompt.template IS 'The text, with places in braces, such as {text}.';
COMMENT ON COLUMN llm_store.prompt.created_at IS 'When it was set.';
COMMENT ON COLUMN llm_store.prompt.author IS 'The role that set it.';
COMMENT ON POLICY prompt_read ON llm_store.prompt IS 'Roles that may use models can see their prompts.';
COMMENT ON POLICY prompt_insert ON llm_store.prompt IS 'Any loader may add a version; nobody changes one.';

COMMIT;
