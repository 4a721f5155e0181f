namespace Eigengate.Inference.Sampling.Json;

/// <summary>An escape inside a JSON string, from the byte after the backslash. A high surrogate needs its low one.</summary>
internal struct JsonEscape
{
    private const byte Low = 6;

    // 0 before the escape's letter; 1 to 4 hex digits read, plus one; 6 and 7 before the second half's backslash and u.
    private byte _step;
    private bool _second;
    private ushort _unit;

    public bool IsDone { readonly get; private set; }

    public bool Advance(byte value)
    {
        switch (_step)
        {
            case 0 when value == 'u':
            case Low + 1 when value == 'u':
                _second = _step != 0;
                _step = 1;
                _unit = 0;
                return true;
            case 0:
                IsDone = true;
                return "\"\\/bfnrt"u8.Contains(value);
            case Low:
                _step++;
                return value == '\\';
            case >= 1 and <= 4:
                return char.IsAsciiHexDigit((char)value) && AddDigit(value);
            default:
                return false;
        }
    }

    private bool AddDigit(byte value)
    {
        _unit = (ushort)(_unit << 4 | (value <= '9' ? value - '0' : (value | 0x20) - 'a' + 10));
        // After the second digit it is known whether this is a surrogate, and which half.
        if (_step == 2 && _second != (_unit is >= 0xDC and <= 0xDF))
            return false;
        _step++;
        if (_step <= 4)
            return true;
        IsDone = _second || _unit is < 0xD800 or > 0xDBFF;
        _step = Low;
        return true;
    }
}
