namespace Eigengate.ChatTemplates.Runtime;

internal delegate object? BuiltinBody(RenderState state, object? value, Arguments arguments);

/// <summary>
/// A filter, test, method or global. <paramref name="parameters"/> names what comes after the value; null passes the
/// arguments on as they were written.
/// </summary>
internal sealed class Builtin(string name, string[]? parameters, BuiltinBody body)
{
    public string Name { get; } = name;

    public object? Invoke(RenderState state, object? value, Arguments arguments) =>
        body(state, value, parameters is null ? arguments : arguments.Bind(state, Name, parameters));
}
