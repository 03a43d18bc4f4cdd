CREATE OR REPLACE MACRO explain_cost(wanted_id) AS TABLE
    SELECT l.source, l.request_id, l.accrued_hour, l.accrued_on, l.provider, c.served_model, l.model,
           l.meter, l.quantity, l.picodollars_per_unit, l.effective_usd, c.price_state, c.unpriced_reason,
           c.cost_basis, l.price_id, p.usd_per_mtok, p.valid_from, p.known_from, p.sheet_version, p.sheet_path,
           p.sheet_line, p.source_url, f.path AS log_path, r.line_number AS log_line, w.run_id
    FROM core.cost_lines l
    JOIN core.request_costs c USING (source, request_id, accrued_hour, accrued_on)
    LEFT JOIN ref.token_prices p ON p.price_id = l.price_id AND p.meter = l.meter
    LEFT JOIN core.requests r ON r.source = c.source AND r.request_id = c.request_id AND r.started_at = c.started_at
    LEFT JOIN ops.landed_files f ON f.file_hash = r.file_hash AND f.source = r.source
    LEFT JOIN ops.partitions w ON w.table_name = 'core.request_costs'
      AND w.partition_key = strftime(c.accrued_hour, '%Y-%m-%dT%H:%MZ')
    WHERE l.request_id = wanted_id;
CREATE OR REPLACE MACRO spend(from_on, to_on, wanted_view) AS TABLE
    SELECT accrued_on, provider, region, route, model, chip, tenant, sum(usd)::DECIMAL(38, 12) AS spend_usd
    FROM (
        SELECT accrued_on, provider, region, route, model, chip, tenant, available_usd AS usd
        FROM mart.cost_per_token_daily
        UNION ALL
        SELECT accrued_on, provider, region, route, model, NULL, tenant, effective_usd FROM core.other_charges
        UNION ALL
        SELECT CASE wanted_view WHEN 'booked' THEN booked_on ELSE accrued_on END, NULL, NULL, NULL, NULL, NULL, NULL,
               difference_usd
        FROM core.adjustments
    )
    WHERE accrued_on >= from_on AND accrued_on < to_on
    GROUP BY ALL;
