//! Faults that are planted in the evidence of a run, to show that the checker finds them.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::evidence::{Evidence, Exchange, Operation, text};

/// Plants one fault; none if the run has no subject for it.
type Plant = fn(&mut Evidence) -> Option<()>;

/// Copies of the evidence, each with one fault. An error if the run has no subject for one of them: such a run shows too
/// little.
pub fn planted(evidence: &Evidence) -> Result<Vec<(&'static str, Evidence)>> {
    let plants: [(_, Plant); 11] = [
        ("an order is removed from the table", |evidence| {
            let lost = evidence.table.pop()?;
            evidence.listed.retain(|order| order["id"] != lost["id"]);
            Some(())
        }),
        ("an order is twice in the table", |evidence| {
            let mut other = evidence.table.first()?.clone();
            other["id"] = json!("01857488-ed35-7c3a-b3a1-3c1cf4a3e2b1");
            evidence.table.push(other.clone());
            evidence.listed.push(other);
            Some(())
        }),
        ("an order is PENDING for ever", |evidence| {
            let order = ended(evidence, "SUCCESS")?;
            for orders in [&mut evidence.table, &mut evidence.listed] {
                orders.iter_mut().filter(|found| found["id"] == *order).for_each(|found| {
                    found["order_status"] = json!("PENDING");
                });
            }
            Some(())
        }),
        ("the API does not list an order", |evidence| evidence.listed.pop().map(drop)),
        ("a charge is doubled", |evidence| {
            let order = ended(evidence, "SUCCESS")?;
            let account = evidence.accounts.get_mut(&order)?;
            account.taken *= 2;
            Some(())
        }),
        ("a refund is lost", |evidence| {
            let account = evidence.accounts.values_mut().find(|account| account.given_back > 0)?;
            account.given_back = 0;
            Some(())
        }),
        ("a delivery is lost", |evidence| {
            let order = ended(evidence, "SUCCESS")?;
            evidence.accounts.get_mut(&order)?.deliveries = 0;
            Some(())
        }),
        ("a message is removed", |evidence| {
            let news = format!("{}:SUCCESS", ended(evidence, "SUCCESS")?);
            evidence.messages.retain(|message| message["id"] != *news);
            Some(())
        }),
        ("a client was told of an order that is not there", |evidence| {
            let told = evidence.log.iter().find(|line| line.operation == Operation::Create && line.is_done())?;
            let mut forged = told.clone();
            forged.number = 1_000_000;
            forged.answer["id"] = json!("01857488-ed35-7c3a-b3a1-3c1cf4a3e2b1");
            evidence.log.push(forged);
            Some(())
        }),
        ("a client was told that an order is deleted", |evidence| {
            let order = evidence.table.first()?.clone();
            let forged = line_about(evidence, &order)?;
            evidence.log.push(Exchange { operation: Operation::Delete, status: Some(204), restaurant: None, ..forged });
            Some(())
        }),
        ("a client was told that an order is refused", |evidence| {
            let order = evidence.table.first()?.clone();
            let name = text(&order, "restaurant_id").to_owned();
            for line in evidence.log.iter_mut().filter(|line| line.restaurant.as_deref() == Some(&name)) {
                line.status = Some(400);
            }
            Some(())
        }),
    ];
    let plant = |(name, plant): (_, Plant)| {
        let mut copy = evidence.clone();
        plant(&mut copy).with_context(|| format!("the run has no order for the planted fault: {name}"))?;
        Ok((name, copy))
    };
    plants.into_iter().map(plant).collect()
}

/// Id of an order in the table with this status.
fn ended(evidence: &Evidence, status: &str) -> Option<String> {
    let order = evidence.table.iter().find(|order| text(order, "order_status") == status)?;
    Some(text(order, "id").to_owned())
}

fn line_about(evidence: &Evidence, order: &Value) -> Option<Exchange> {
    evidence.log.iter().find(|line| line.answer["id"] == order["id"]).cloned()
}
