"""py-evm's objects as JSON-RPC gives them, and JSON-RPC's parameters as Python's values."""

from __future__ import annotations

from typing import Any

from eth_utils.address import to_checksum_address

from sonar.localchain.jsonrpc import JsonRpcError

Json = dict[str, Any]
Evm = Any
"""An object of py-evm, whose abstract types leave out half of what its objects have."""


def to_hex(data: bytes) -> str:
    """Return bytes as JSON-RPC data."""
    return "0x" + bytes(data).hex()


def from_quantity(value: Any, what: str) -> int:
    """Return a quantity in hex as an int below 2^256. Raises JsonRpcError naming `what`."""
    try:
        if isinstance(value, str) and value.startswith("0x") and 3 <= len(value) <= 66:
            return int(value[2:], 16)
    except ValueError:
        pass
    raise JsonRpcError(-32602, f"{what} is not a quantity in hex")


def from_data(value: Any, what: str, size: int | None = None) -> bytes:
    """Return data in hex as bytes, `size` of them if given. Raises JsonRpcError naming `what`."""
    try:
        if isinstance(value, str) and value.startswith("0x"):
            data = bytes.fromhex(value[2:])
            if size is None or len(data) == size:
                return data
    except ValueError:
        pass
    raise JsonRpcError(-32602, f"{what} is not {'data' if size is None else f'{size} bytes'} in hex")


def block(header: Evm, transactions: list[Any]) -> Json:
    """Return a block; `transactions` are hashes, or whole."""
    found = {
        "number": hex(header.block_number),
        "hash": to_hex(header.hash),
        "parentHash": to_hex(header.parent_hash),
        "nonce": to_hex(header.nonce),
        "sha3Uncles": to_hex(header.uncles_hash),
        "logsBloom": to_hex(header.bloom.to_bytes(256, "big")),
        "transactionsRoot": to_hex(header.transaction_root),
        "stateRoot": to_hex(header.state_root),
        "receiptsRoot": to_hex(header.receipt_root),
        "miner": to_checksum_address(header.coinbase),
        "difficulty": hex(header.difficulty),
        "extraData": to_hex(header.extra_data),
        "gasLimit": hex(header.gas_limit),
        "gasUsed": hex(header.gas_used),
        "timestamp": hex(header.timestamp),
        "baseFeePerGas": hex(header.base_fee_per_gas),
        "mixHash": to_hex(header.mix_hash),
        "size": "0x0",
        "transactions": transactions,
        "uncles": [],
    }
    return found | _since_shanghai(header)


def _since_shanghai(header: Evm) -> Json:
    """The fields that later forks added: without them nobody could take the header's hash."""
    if getattr(header, "withdrawals_root", None) is None:
        return {}
    return {
        "withdrawalsRoot": to_hex(header.withdrawals_root),
        "blobGasUsed": hex(header.blob_gas_used),
        "excessBlobGas": hex(header.excess_blob_gas),
        "parentBeaconBlockRoot": to_hex(header.parent_beacon_block_root),
    }


def price_wei(header: Evm, signed: Evm) -> int:
    """Return what the transaction pays per gas in that block."""
    highest = getattr(signed, "max_fee_per_gas", None)
    if highest is None:
        return int(signed.gas_price)
    return int(min(highest, header.base_fee_per_gas + signed.max_priority_fee_per_gas))


def transaction(header: Evm, index: int, signed: Evm) -> Json:
    """Return a mined transaction."""
    kind = getattr(signed, "type_id", None) or 0
    found = {
        "hash": to_hex(signed.hash),
        "type": hex(kind),
        "blockHash": to_hex(header.hash),
        "blockNumber": hex(header.block_number),
        "transactionIndex": hex(index),
        "from": to_checksum_address(signed.sender),
        "to": to_checksum_address(signed.to) if signed.to else None,
        "nonce": hex(signed.nonce),
        "value": hex(signed.value),
        "gas": hex(signed.gas),
        "gasPrice": hex(price_wei(header, signed)),
        "input": to_hex(signed.data),
        "r": hex(signed.r),
        "s": hex(signed.s),
    }
    if kind == 0:
        return found | {"v": hex(signed.v)}
    found |= {"chainId": hex(signed.chain_id), "v": hex(signed.y_parity), "yParity": hex(signed.y_parity)}
    if kind == 2:
        found["maxFeePerGas"] = hex(signed.max_fee_per_gas)
        found["maxPriorityFeePerGas"] = hex(signed.max_priority_fee_per_gas)
    return found | {"accessList": []}


def receipt(
    header: Evm,
    index: int,
    signed: Evm,
    mined: Evm,
    computation: Evm,
) -> Json:
    """Return a receipt with its logs. A block here has one transaction, so the cumulative gas is its own."""
    place = {
        "transactionHash": to_hex(signed.hash),
        "transactionIndex": hex(index),
        "blockHash": to_hex(header.hash),
        "blockNumber": hex(header.block_number),
    }
    logs = [
        place
        | {
            "address": to_checksum_address(log.address),
            "topics": [to_hex(topic.to_bytes(32, "big")) for topic in log.topics],
            "data": to_hex(log.data),
            "logIndex": hex(number),
            "removed": False,
        }
        for number, log in enumerate(mined.logs)
    ]
    created = None
    if not signed.to and not computation.is_error:
        created = to_checksum_address(computation.msg.storage_address)
    return place | {
        "type": hex(getattr(signed, "type_id", None) or 0),
        "from": to_checksum_address(signed.sender),
        "to": to_checksum_address(signed.to) if signed.to else None,
        "contractAddress": created,
        "status": hex(0 if computation.is_error else 1),
        "gasUsed": hex(mined.gas_used),
        "cumulativeGasUsed": hex(mined.gas_used),
        "effectiveGasPrice": hex(price_wei(header, signed)),
        "logsBloom": to_hex(mined.bloom.to_bytes(256, "big")),
        "logs": logs,
    }


def matches(log: Json, query: Json) -> bool:
    """Tell whether a log fits a filter's addresses and topics; a list at a place means any of it."""
    addresses = query.get("address")
    if addresses is not None:
        wanted = addresses if isinstance(addresses, list) else [addresses]
        if log["address"].lower() not in {str(one).lower() for one in wanted}:
            return False
    topics = query.get("topics") or []
    if not isinstance(topics, list) or len(topics) > 4:
        raise JsonRpcError(-32602, "topics is not a list of at most 4")
    for place, topic in enumerate(topics):
        if topic is None:
            continue
        any_of = topic if isinstance(topic, list) else [topic]
        if place >= len(log["topics"]) or log["topics"][place] not in {str(one).lower() for one in any_of}:
            return False
    return True
