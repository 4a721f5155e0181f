namespace Eigengate.ChatTemplates.Runtime;

/// <summary>Arguments of one call. After <see cref="Bind"/>, positions follow the callee's parameter list.</summary>
internal sealed class Arguments(IReadOnlyList<object?> positional, IReadOnlyList<KeyValuePair<string, object?>> named)
{
    private static readonly object Missing = new();

    public static Arguments Empty { get; } = new([], []);

    public IReadOnlyList<object?> Positional => positional;

    public IReadOnlyList<KeyValuePair<string, object?>> Named => named;

    public object? this[int index] => Has(index) ? positional[index] : null;

    public bool Has(int index) => index < positional.Count && !ReferenceEquals(positional[index], Missing);

    public Arguments Skip(int count) => new([.. positional.Skip(count)], named);

    public bool TryNamed(string name, out object? value)
    {
        foreach ((string key, object? candidate) in named)
        {
            if (key == name)
            {
                value = candidate;
                return true;
            }
        }

        value = null;
        return false;
    }

    public Arguments Bind(RenderState state, string callee, string[] parameters)
    {
        if (positional.Count > parameters.Length)
            throw state.Fail($"{callee} takes at most {parameters.Length} arguments, {positional.Count} were given");
        if (named.Count == 0)
            return this;
        var bound = new object?[parameters.Length];
        Array.Fill(bound, Missing);
        for (int i = 0; i < positional.Count; i++)
            bound[i] = positional[i];
        foreach ((string name, object? value) in named)
        {
            int index = Array.IndexOf(parameters, name);
            if (index < 0)
                throw state.Fail($"{callee} has no argument '{name}'");
            if (!ReferenceEquals(bound[index], Missing))
                throw state.Fail($"{callee} got its argument '{name}' twice");
            bound[index] = value;
        }

        return new Arguments(bound, []);
    }

    public object? Required(RenderState state, int index, string name) =>
        Has(index) ? positional[index] : throw state.Fail($"missing argument '{name}'");

    /// <summary>An argument that must be a string when given; None counts as not given.</summary>
    public string? Text(RenderState state, int index) => this[index] switch
    {
        null => null,
        string text => text,
        var other => throw state.Fail($"expected a string, got {Kinds.Name(other)}"),
    };

    /// <summary>An argument that must be an integer when given; None counts as not given.</summary>
    public long Integer(RenderState state, int index, long fallback) => this[index] switch
    {
        null => fallback,
        long number => number,
        bool flag => flag ? 1 : 0,
        var other => throw state.Fail($"expected an integer, got {Kinds.Name(other)}"),
    };

    public bool Flag(RenderState state, int index, bool fallback) => Has(index) ? Kinds.IsTrue(state, this[index]) : fallback;
}
