"""Consent: what a lender agreed to, who may use it for what, and the one gate that training and rendering pass.

    request ──▶ statement (read by the lender) ──▶ sign ──▶ record ──▶ accept ──▶ gate ──▶ Permit
                                                   ▲                              ▲
                                   template (enrolled face)          ledger, revocations, faces actually used

The modules, in the order of their imports: ``clock``, ``strict_json``, ``keys``, ``jws``, ``terms``, ``statement``,
``template``, ``match``, ``record``, ``ledger``, ``revoke``, ``cover``, ``https``, ``status``, ``check``, ``gate``;
and for the capture ``challenge``, ``motion``, ``observe``, ``capture``, ``camera``. Importing them loads no
neural network.
"""
