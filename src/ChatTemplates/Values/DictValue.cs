namespace Eigengate.ChatTemplates.Values;

/// <summary>A Python dict: insertion order, keys compared as Python does (1, 1.0 and True are one key).</summary>
internal sealed class DictValue
{
    private static readonly object NoneKey = new();
    private readonly OrderedDictionary<object, object?> _entries = new(KeyComparer.Instance);

    public int Count => _entries.Count;

    public IEnumerable<object?> Keys => _entries.Keys.Select(Unwrap);

    public IEnumerable<object?> Values => _entries.Values;

    public IEnumerable<(object? Key, object? Value)> Entries => _entries.Select(e => (Unwrap(e.Key), e.Value));

    /// <summary>Whether a value may be a key here; of tuples, which Python allows, templates make no use.</summary>
    public static bool IsKey(object? value) => value is null or string or bool or long or double;

    public bool TryGet(object? key, out object? value) => _entries.TryGetValue(key ?? NoneKey, out value);

    public bool Contains(object? key) => _entries.ContainsKey(key ?? NoneKey);

    public void Set(object? key, object? value) => _entries[key ?? NoneKey] = value;

    private static object? Unwrap(object key) => ReferenceEquals(key, NoneKey) ? null : key;

    private sealed class KeyComparer : IEqualityComparer<object>
    {
        public static readonly KeyComparer Instance = new();

        bool IEqualityComparer<object>.Equals(object? x, object? y) => (Normal(x), Normal(y)) switch
        {
            (string a, string b) => a == b,
            (long a, long b) => a == b,
            (double a, double b) => a.Equals(b),
            (var a, var b) => ReferenceEquals(a, b),
        };

        public int GetHashCode(object obj) => Normal(obj)!.GetHashCode();

        private static object? Normal(object? key) => key switch
        {
            bool flag => flag ? 1L : 0L,
            double number when number == Math.Floor(number) && Math.Abs(number) < 1e15 => (long)number,
            _ => key,
        };
    }
}
