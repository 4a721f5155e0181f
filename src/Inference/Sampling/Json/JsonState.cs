using System.Runtime.CompilerServices;

namespace Eigengate.Inference.Sampling.Json;

/// <summary>
/// Where a text stands inside one JSON object (RFC 8259): an automaton over bytes with its stack in one word, so that
/// it is copied freely. Objects and arrays nest at most <see cref="MaxDepth"/> deep; nothing may follow the object.
/// Bytes must be valid UTF-8 and escaped surrogates come in pairs.
/// </summary>
internal struct JsonState
{
    /// <summary>Also what System.Text.Json reads by default.</summary>
    public const int MaxDepth = 64;

    // Bit d − 1 is set when level d is an object.
    private ulong _levels;
    private Mode _mode;
    private byte _depth;
    private bool _key;
    private Utf8Tail _tail;
    private JsonEscape _escape;
    private byte _literal;
    private byte _literalAt;

    private enum Mode : byte
    {
        Start,
        FirstKey,
        NextKey,
        Colon,
        FirstElement,
        Value,
        AfterValue,
        String,
        Character,
        Escape,
        Minus,
        Zero,
        Integer,
        Point,
        Fraction,
        Exponent,
        ExponentSign,
        ExponentDigits,
        Literal,
        Complete,
    }

    public readonly bool IsComplete => _mode == Mode.Complete;

    private static ReadOnlySpan<byte> Literals => "true\0false\0null\0"u8;

    /// <summary>Takes one byte; false when no JSON object continues that way, and then the state is worthless.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool Advance(byte value) =>
        // Most bytes of most tokens are plain characters of a string.
        (_mode == Mode.String && value is >= 0x20 and < 0x7F and not (byte)'"' and not (byte)'\\') || AdvanceState(value);

    private bool AdvanceState(byte value)
    {
        switch (_mode)
        {
            case Mode.String:
                return InString(value);
            case Mode.Character:
                if (!_tail.Advance(value))
                    return false;
                _mode = _tail.IsDone ? Mode.String : Mode.Character;
                return true;
            case Mode.Escape:
                if (!_escape.Advance(value))
                    return false;
                _mode = _escape.IsDone ? Mode.String : Mode.Escape;
                return true;
            case Mode.Literal:
                if (Literals[_literal + _literalAt] != value)
                    return false;
                if (Literals[_literal + ++_literalAt] == 0)
                    _mode = Mode.AfterValue;
                return true;
            case >= Mode.Minus and <= Mode.ExponentDigits:
                return InNumber(value);
            case Mode.Complete:
                return false;
            default:
                return value is (byte)' ' or (byte)'\n' or (byte)'\r' or (byte)'\t' || Structure(value);
        }
    }

    private bool Structure(byte value)
    {
        switch (_mode)
        {
            case Mode.Start:
                return value == '{' && Open(isObject: true);
            case Mode.FirstKey when value == '}':
            case Mode.FirstElement when value == ']':
                return Close();
            case Mode.FirstKey or Mode.NextKey:
                return value == '"' && OpenString(key: true);
            case Mode.Colon:
                _mode = Mode.Value;
                return value == ':';
            case Mode.AfterValue:
                return AfterValue(value);
            default:
                return StartValue(value);
        }
    }

    private bool StartValue(byte value)
    {
        switch (value)
        {
            case (byte)'{':
                return Open(isObject: true);
            case (byte)'[':
                return Open(isObject: false);
            case (byte)'"':
                return OpenString(key: false);
            case (byte)'-':
                _mode = Mode.Minus;
                return true;
            case (byte)'0':
                _mode = Mode.Zero;
                return true;
            case >= (byte)'1' and <= (byte)'9':
                _mode = Mode.Integer;
                return true;
            case (byte)'t' or (byte)'f' or (byte)'n':
                _mode = Mode.Literal;
                _literal = (byte)Literals.IndexOf(value);
                _literalAt = 1;
                return true;
            default:
                return false;
        }
    }

    private readonly bool InObject => (_levels >> (_depth - 1) & 1) != 0;

    private bool AfterValue(byte value)
    {
        if (value == ',')
        {
            _mode = InObject ? Mode.NextKey : Mode.Value;
            return true;
        }

        return value == (InObject ? '}' : ']') && Close();
    }

    private bool Open(bool isObject)
    {
        if (_depth == MaxDepth)
            return false;
        var bit = 1UL << _depth++;
        _levels = isObject ? _levels | bit : _levels & ~bit;
        _mode = isObject ? Mode.FirstKey : Mode.FirstElement;
        return true;
    }

    private bool Close()
    {
        _mode = --_depth == 0 ? Mode.Complete : Mode.AfterValue;
        return true;
    }

    private bool OpenString(bool key)
    {
        _key = key;
        _mode = Mode.String;
        return true;
    }

    private bool InString(byte value)
    {
        switch (value)
        {
            case (byte)'"':
                _mode = _key ? Mode.Colon : Mode.AfterValue;
                return true;
            case (byte)'\\':
                _escape = default;
                _mode = Mode.Escape;
                return true;
            case < 0x20:
                return false;
            case < 0x80:
                return true;
            default:
                _mode = Mode.Character;
                return Utf8Tail.TryBegin(value, out _tail);
        }
    }

    private bool InNumber(byte value)
    {
        var digit = value is >= (byte)'0' and <= (byte)'9';
        var exponent = value is (byte)'e' or (byte)'E';
        Mode? next = _mode switch
        {
            Mode.Minus => digit ? (value == '0' ? Mode.Zero : Mode.Integer) : null,
            Mode.Integer when digit => Mode.Integer,
            Mode.Zero or Mode.Integer => value == '.' ? Mode.Point : exponent ? Mode.Exponent : Mode.AfterValue,
            Mode.Point => digit ? Mode.Fraction : null,
            Mode.Fraction => digit ? Mode.Fraction : exponent ? Mode.Exponent : Mode.AfterValue,
            Mode.Exponent when value is (byte)'+' or (byte)'-' => Mode.ExponentSign,
            Mode.Exponent or Mode.ExponentSign => digit ? Mode.ExponentDigits : null,
            _ => digit ? Mode.ExponentDigits : Mode.AfterValue,
        };
        if (next is not { } mode)
            return false;
        _mode = mode;
        // The byte that ends a number belongs to what follows it.
        return mode != Mode.AfterValue || Advance(value);
    }
}
